"""A document with each fault once, and a second file whose parts are broken."""

import re
import zipfile

import docx
from docx.oxml import OxmlElement, parse_xml
from docx.oxml.ns import nsdecls, qn
from docx.shared import Cm, Pt, RGBColor
from PIL import Image

doc = docx.Document()
doc.core_properties.title = ""
doc.add_heading("Third level first", 3)
doc.add_heading("", 1)
doc.add_paragraph("A text.")
doc.add_paragraph()
doc.add_paragraph()
doc.add_paragraph("Dear {{name}}, lorem ipsum.")
doc.add_paragraph("Total:        400")
doc.add_paragraph("1. typed")
doc.add_paragraph("2. typed")
doc.add_paragraph().add_run("A heading in bold").bold = True
doc.add_paragraph().add_run("small print").font.size = Pt(6)
run = doc.add_paragraph().add_run("by hand " * 60)
run.font.size, run.font.color.rgb, run.font.name = Pt(12), RGBColor(1, 2, 3), "Courier New"
Image.new("RGB", (100, 100), (40, 90, 160)).save("square.png")
doc.add_picture("square.png", width=Cm(25))
table = doc.add_table(3, 2)
for column in table.columns:
    column.width = Cm(14)
table.rows[2]._tr.remove(table.rows[2]._tr.tc_lst[1])
for instruction in ("TOC", "REF nowhere", "MERGEFIELD Name"):
    field = doc.add_paragraph()._p
    field.append(parse_xml(f'<w:fldSimple {nsdecls("w")} w:instr=" {instruction} "/>'))
unended = doc.add_paragraph().add_run()._r
unended.append(parse_xml(f'<w:fldChar {nsdecls("w")} w:fldCharType="begin"/>'))
mark = parse_xml(f'<w:ins {nsdecls("w")} w:id="1" w:author="Ann" w:date="2026-01-01T00:00:00Z"/>')
paragraph = doc.add_paragraph("inserted")
mark.append(paragraph.runs[0]._r)
paragraph._p.append(mark)
doc.add_comment(doc.paragraphs[2].runs, "Really?", "Ann", "A")
doc.add_paragraph("styled")._p.get_or_add_pPr().append(OxmlElement("w:pStyle"))
doc.paragraphs[-1]._p.pPr.find(qn("w:pStyle")).set(qn("w:val"), "Nowhere")
doc.add_paragraph("listed")._p.get_or_add_pPr().get_or_add_numPr().get_or_add_numId().val = 77
doc.add_paragraph("word " * 950)
doc.save("bad.docx")

with zipfile.ZipFile("bad.docx") as source, zipfile.ZipFile("broken.docx", "w") as target:
    for entry in source.infolist():
        content = source.read(entry)
        if entry.filename.startswith("word/media/"):
            continue
        if entry.filename == "word/document.xml":
            content = re.sub(rb'r:embed="rId\d+"', b'r:embed="rId999"', content)
        target.writestr(entry.filename, content)
