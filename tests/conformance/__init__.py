"""A conformance suite for the IIIF Image API 3.0 and 2.1, written from the specifications' sections.

Each test demands what one section says, over HTTP of a real server, and its docstring begins with version and
section. MUST, SHOULD and RECOMMENDED are tested as far as they bind a server; what they leave open is left
open here, too, unless docs/reference/http.md decides it. Pictures are compared with ones of which every pixel
is known (``pictures.py``), by computations that share no code with the server.

The index, by section of https://iiif.io/api/image/3.0/ and https://iiif.io/api/image/2.1/:

| section | 3.0, in ``v3/`` | 2.1, in ``v2/`` |
|---|---|---|
| 2 URI syntax | test_section_2_uri_syntax | test_section_2_uri_syntax |
| 3 Identifier | test_section_3_9_identifiers | test_section_3_9_identifiers |
| 4.1 Region | test_section_4_1_region | test_section_4_1_region |
| 4.2 Size | test_section_4_2_size, test_section_4_2_limits | test_section_4_2_size |
| 4.3 Rotation | test_section_4_3_rotation | test_section_4_3_rotation |
| 4.4 Quality | test_section_4_4_quality | test_section_4_4_quality |
| 4.5 Format | test_section_4_5_format | test_section_4_5_format |
| 4.6 Order of implementation | test_section_4_6_order | test_section_4_6_order |
| 4.7 Floating point values (2.1: 4) | test_section_4_7_numbers | test_section_4_1_region |
| 4.8 Canonical URI syntax (2.1: 4.7) | test_section_4_8_canonical | test_section_4_7_canonical |
| 5.1 Image information request | test_section_5_1_request | test_section_5_1_request |
| 5.2 Technical properties | test_section_5_2_properties | test_section_5_2_properties |
| 5.3 Sizes, 5.4 Tiles (2.1: 5.2) | test_section_5_3_sizes_and_tiles | test_section_5_2_sizes_and_tiles |
| 5.6 Rights (2.1: 5.4) | test_section_5_2_properties | test_section_5_2_properties |
| 5.7 Extra functionality (2.1: 5.3) | test_section_5_7_extra | test_section_5_3_profile |
| 6 Compliance level | test_section_5_2_properties | test_section_5_2_properties |
| 7 Server responses | test_section_7_responses | test_section_7_responses |
| 9 URI encoding and decoding | test_section_3_9_identifiers | test_section_3_9_identifiers |
| 10 Security considerations | test_section_7_responses | test_section_7_responses |
| compliance documents | test_compliance | test_compliance |

Not here: preferred formats (3.0 5.5) and linking properties (3.0 5.8, 2.1 5.5), which this server does not
state; HTTP versions (3.0 7.4), which are a proxy's business; and authentication (8).
"""
