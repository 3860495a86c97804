"""TIFF: the pages and levels of a file (``pages``), their segments (``segments``) and samples (``samples``).

tifffile reads the directories and imagecodecs decodes, and only the tiles or strips that are needed. What
those two can't read, libtiff may (``reader``).
"""
