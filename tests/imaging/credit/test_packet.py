"""XMP packets that are written."""

from xml.etree import ElementTree as ET

from hypothesis import given

from iiif_server.imaging.credit.model import Credit
from iiif_server.imaging.credit.packet import xmp_packet
from iiif_server.imaging.credit.xmp import read_xmp
from tests.imaging.credit.helpers import CREDITS, FULL

SPACES = {
    "x": "adobe:ns:meta/",
    "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
    "dc": "http://purl.org/dc/elements/1.1/",
    "photoshop": "http://ns.adobe.com/photoshop/1.0/",
    "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
    "plus": "http://ns.useplus.org/ldf/xmp/1.0/",
    "cc": "http://creativecommons.org/ns#",
}


LANGUAGE = "{http://www.w3.org/XML/1998/namespace}lang"


def texts(root: ET.Element, path: str) -> list[str | None]:
    return [element.text for element in root.findall(f"rdf:RDF/rdf:Description/{path}", SPACES)]


def test_an_xml_parser_finds_each_value_in_its_form():
    """Arrays, alternatives with a default, structures, simple values, a reference."""
    root = ET.fromstring(xmp_packet(FULL))
    assert root.tag == "{adobe:ns:meta/}xmpmeta"
    assert texts(root, "dc:creator/rdf:Seq/rdf:li") == list(FULL.creators)
    assert texts(root, f"dc:rights/rdf:Alt/rdf:li[@{LANGUAGE}='x-default']") == [FULL.copyright_notice]
    assert texts(root, "plus:CopyrightOwner/rdf:Seq/rdf:li/plus:CopyrightOwnerName") == list(
        FULL.copyright_owners
    )
    assert texts(root, "photoshop:Credit") == [FULL.credit_line]
    assert texts(root, "photoshop:Source") == [FULL.source]
    assert texts(root, "xmpRights:UsageTerms/rdf:Alt/rdf:li") == [FULL.usage_terms]
    assert texts(root, "xmpRights:WebStatement") == [FULL.web_statement]
    assert texts(root, "plus:Licensor/rdf:Seq/rdf:li/plus:LicensorName") == [FULL.licensor_name]
    assert texts(root, "plus:Licensor/rdf:Seq/rdf:li/plus:LicensorURL") == [FULL.licensor_url]
    license_ = root.find("rdf:RDF/rdf:Description/cc:license", SPACES)
    assert license_ is not None
    assert license_.attrib == {f"{{{SPACES['rdf']}}}resource": FULL.license_url}


def test_is_a_packet():
    """With the mark and the identifier by which scanners find it, and nobody writes into it."""
    packet = xmp_packet(FULL)
    assert packet.startswith(b'<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>\n')
    assert packet.endswith(b'<?xpacket end="r"?>')


def test_says_no_more_than_there_is():
    """Neither empty properties nor unused namespaces."""
    packet = xmp_packet(Credit(source="a"))
    assert b"<photoshop:Source>a</photoshop:Source>" in packet
    assert packet.count(b"xmlns:") == 3
    assert xmp_packet(Credit()) == b""


@given(CREDITS)
def test_what_is_written_is_read(credit):
    """All of it, by the same bytes each time, by ours and another parser."""
    packet = xmp_packet(credit)
    assert packet == xmp_packet(credit)
    assert read_xmp(packet) == credit
    if credit:
        ET.fromstring(packet)
