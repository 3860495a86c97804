"""Pyramids of flat sources: the tiles that viewers ask for, made once and kept in one pyramidal TIFF.

``build`` makes them, ``tiff`` writes the file, ``index`` finds a tile in it without any codec. A tile out of
a pyramid is byte for byte the one that is made from the source. See docs/adr/0009-pyramids.md.
"""
