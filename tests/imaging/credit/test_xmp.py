"""XMP packets that are read."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiif_server.imaging.credit.model import MAX_NAMES, MAX_TEXT, Credit
from iiif_server.imaging.credit.packet import xmp_packet
from iiif_server.imaging.credit.xmp import MAX_BYTES, read_xmp
from tests.imaging.credit.helpers import FULL, packet

RIGHTS = "<dc:rights>a</dc:rights>"
AFTER = "<photoshop:Source>after</photoshop:Source>"


def test_reads_arrays_alternatives_and_structures():
    """As Adobe's software and ExifTool write them."""
    body = """
   <dc:creator><rdf:Seq><rdf:li>Zoë &amp; Ågren</rdf:li>
     <rdf:li>Bob</rdf:li></rdf:Seq></dc:creator>
   <dc:rights><rdf:Alt><rdf:li xml:lang="de">deutsch</rdf:li>
     <rdf:li xml:lang="x-default"><![CDATA[©]]> 2024</rdf:li></rdf:Alt></dc:rights>
   <xmpRights:UsageTerms><rdf:Alt><rdf:li xml:lang="en">terms</rdf:li></rdf:Alt></xmpRights:UsageTerms>
   <xmpRights:WebStatement>https://example.org/r</xmpRights:WebStatement>
   <photoshop:Credit>credit</photoshop:Credit>
   <photoshop:Source>
      source</photoshop:Source>
   <plus:CopyrightOwner><rdf:Seq>
     <rdf:li rdf:parseType="Resource"><plus:CopyrightOwnerName>one</plus:CopyrightOwnerName>
        <plus:CopyrightOwnerID>1</plus:CopyrightOwnerID></rdf:li>
     <rdf:li><rdf:Description plus:CopyrightOwnerName="two"/></rdf:li></rdf:Seq></plus:CopyrightOwner>
   <plus:Licensor><rdf:Seq><rdf:li><rdf:Description><plus:LicensorURL>https://example.org/l</plus:LicensorURL>
     <plus:LicensorName>L</plus:LicensorName></rdf:Description></rdf:li></rdf:Seq></plus:Licensor>
   <cc:license rdf:resource="https://example.org/cc"/>"""
    assert read_xmp(packet(body)) == Credit(
        creators=("Zoë & Ågren", "Bob"),
        copyright_notice="© 2024",
        copyright_owners=("one", "two"),
        credit_line="credit",
        source="source",
        usage_terms="terms",
        web_statement="https://example.org/r",
        licensor_name="L",
        licensor_url="https://example.org/l",
        license_url="https://example.org/cc",
    )


def test_reads_properties_as_attributes():
    """The short form of simple values."""
    attributes = 'photoshop:Credit="a &lt; b" xmpRights:WebStatement="https://example.org/" dc:rights="r"'
    assert read_xmp(packet(attributes=attributes)) == Credit(
        copyright_notice="r", credit_line="a < b", web_statement="https://example.org/"
    )


@pytest.mark.parametrize(
    "value",
    [
        "<dc:creator>Zoë</dc:creator>",
        "<dc:creator><rdf:Bag><rdf:li>Zoë</rdf:li></rdf:Bag></dc:creator>",
        "<dc:creator rdf:parseType='Resource'><rdf:value>Zoë</rdf:value></dc:creator>",
        "<dc:creator><rdf:li><rdf:Description><rdf:value>Zoë</rdf:value></rdf:Description></rdf:li></dc:creator>",
    ],
)
def test_reads_other_forms(value):
    """A bare value, another kind of array, and values with qualifiers."""
    assert read_xmp(packet(value)).creators == ("Zoë",)


def test_owners_of_the_rights_schema_stand_in():
    """The standard's own property comes first."""
    owner = "<xmpRights:Owner><rdf:Bag><rdf:li>Adobe's</rdf:li></rdf:Bag></xmpRights:Owner>"
    plus = '<plus:CopyrightOwner><rdf:li plus:CopyrightOwnerName="PLUS"/></plus:CopyrightOwner>'
    assert read_xmp(packet(owner)).copyright_owners == ("Adobe's",)
    assert read_xmp(packet(owner + plus)).copyright_owners == ("PLUS",)


def test_licensors_are_not_mixed():
    """The first licensor's name is not told with the second one's address."""
    licensors = """<plus:Licensor><rdf:Seq>
      <rdf:li rdf:parseType="Resource"><plus:LicensorID>x</plus:LicensorID></rdf:li>
      <rdf:li rdf:parseType="Resource"><plus:LicensorName>one</plus:LicensorName></rdf:li>
      <rdf:li plus:LicensorName="two" plus:LicensorURL="https://two"/></rdf:Seq></plus:Licensor>"""
    credit = read_xmp(packet(licensors))
    assert (credit.licensor_name, credit.licensor_url) == ("one", "")


def test_other_properties_of_the_same_name_are_others():
    """The creator of an ingredient did not make this image; nor do other namespaces count."""
    body = f"""<xmpMM:Pantry><rdf:Bag><rdf:li rdf:parseType="Resource">
        <dc:creator><rdf:Seq><rdf:li>other</rdf:li></rdf:Seq></dc:creator></rdf:li></rdf:Bag></xmpMM:Pantry>
      <creator xmlns="https://example.org/">other</creator><exif:GPSLatitude>51</exif:GPSLatitude>{AFTER}"""
    assert read_xmp(packet(body, 'exif:DateTime="2024"')) == Credit(source="after")


def test_ill_placed_text_is_no_value():
    """White space between elements, and what stands beside an array."""
    assert (
        read_xmp(packet("<dc:rights> \n </dc:rights><dc:creator> <rdf:Seq> </rdf:Seq> </dc:creator>"))
        == Credit()
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda data: b"\0junk" + data, "a"),
        (lambda data: data + b"\0\0 junk <", "a"),
        (lambda data: data[data.index(b"<rdf:RDF") :], "a"),
        (lambda data: data.decode().encode("utf-16"), "a"),
        (lambda data: data.replace(b">a<", b">a\xff\x01<"), "a\ufffd"),
        (lambda data: data.replace(b'begin="', b'begin="\xff'), "a"),
        (lambda data: data[: data.index(b"</dc:rights>") + 12], "a"),
        (lambda data: data.replace(b"</rdf:Description>", b"</oops>"), "a"),
        (lambda data: data.replace(b">a<", b">&unknown;<"), ""),
        (lambda data: data.replace(b">a<", b">&#0;<"), ""),
        (lambda data: data[: data.index(b"</dc:rights>")], ""),
        (lambda data: data.replace(b"<", b""), ""),
        (lambda data: b"", ""),
    ],
)
def test_damage_costs_what_comes_after_it(change, expected):
    """Junk around the packet and bytes that are no text cost nothing."""
    assert read_xmp(change(packet(RIGHTS))).copyright_notice == expected


LAUGHS = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
DECLARATIONS = {
    "billion laughs": ("&l9;", f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]>'),
    "quadratic blowup": ("&a;" * 9000, f'<!DOCTYPE x [<!ENTITY a "{"lol" * 9000}">]>'),
    "external entity": ("&e;", '<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>'),
    "remote entity": ("&e;", '<!DOCTYPE x [<!ENTITY e SYSTEM "http://127.0.0.1:9/">]>'),
    "parameter entity": ("a", '<!DOCTYPE x [<!ENTITY % e SYSTEM "file:///etc/passwd"> %e;]>'),
    "external subset": ("a", '<!DOCTYPE x SYSTEM "file:///etc/passwd">'),
    "default attribute": ("a", "<!DOCTYPE x [<!ATTLIST x:xmpmeta b CDATA 'c'>]>"),
}


@pytest.mark.parametrize("name", DECLARATIONS)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_packets_with_a_document_type_are_not_parsed(name, encoding, monkeypatch):
    """No entity is ever declared, whatever expat would do about it."""
    value, declaration = DECLARATIONS[name]
    whole = packet(RIGHTS.replace("a", value, 1)).decode()
    data = whole.replace("<x:xmpmeta", declaration + "<x:xmpmeta", 1).encode(encoding)
    monkeypatch.setattr("iiif_server.imaging.credit.xmp.expat.ParserCreate", None)
    assert read_xmp(data) == Credit()


@pytest.mark.parametrize(
    "flood",
    [
        "<a>" * 400_000,
        "<a xmlns='b'>" * 100_000,
        "<dc:creator><rdf:Seq>" + "<rdf:li>x" * 200_000,
        "<a/>" * 300_000,
        "<a " + " ".join(f"b{number}=''" for number in range(80_000)),
        "<a b='" + "x" * MAX_BYTES,
        "<dc:rights>" + "&lt;" * MAX_BYTES,
        "<!--" + "x" * MAX_BYTES,
        "<?x " + "x" * MAX_BYTES,
        "<" * MAX_BYTES,
        "y" * (50 << 20),
    ],
    ids=[
        "deep",
        "spaces",
        "items",
        "wide",
        "attributes",
        "long",
        "references",
        "comment",
        "pi",
        "open",
        "50 MiB",
    ],
)
def test_floods_cost_what_comes_after_them(flood):
    """And neither the process nor what was read before."""
    credit = read_xmp(packet(RIGHTS + flood + AFTER))
    assert (credit.copyright_notice, credit.source) == ("a", "")


def test_many_values_are_bounded():
    """Names, alternatives and the length of texts."""
    names = "".join(f"<rdf:li>{number}</rdf:li>" for number in range(5000))
    notices = "".join(f'<rdf:li xml:lang="x-default">{number}</rdf:li>' for number in range(5000))
    credit = read_xmp(
        packet(
            f"<dc:creator><rdf:Seq>{names}</rdf:Seq></dc:creator><dc:rights><rdf:Alt>{notices}</rdf:Alt>"
            f"</dc:rights><photoshop:Source>{'x' * 200_000}</photoshop:Source>"
        )
    )
    assert credit.creators == tuple(map(str, range(MAX_NAMES)))
    assert credit.copyright_notice
    assert len(credit.source) == MAX_TEXT


@given(st.binary(), st.integers(0, 2000))
def test_any_bytes_do(data, at):
    """Alone, or in the middle of a packet."""
    whole = xmp_packet(FULL)
    assert isinstance(read_xmp(data), Credit)
    assert isinstance(read_xmp(whole[:at] + data + whole[at:]), Credit)


@given(st.text("<>/=\"' &;!?[]-:#xrdfli", max_size=200))
def test_any_markup_does(text):
    """Most of it is none."""
    assert isinstance(read_xmp(packet(text)), Credit)


def test_values_are_clean():
    """Even where references smuggle control characters in."""
    found = read_xmp(packet("<dc:rights>a&#9;&#10;&#x7f;&#x2028;b</dc:rights>")).copyright_notice
    assert re.fullmatch("a b", found)
