"""Who made an image and whose it is: read from EXIF, IPTC-IIM and XMP, written into derivatives if wanted."""
