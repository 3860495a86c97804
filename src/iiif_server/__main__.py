"""``python -m iiif_server``."""

from iiif_server.cli.main import main

if __name__ == "__main__":
    main()
