# Fills the form that was uploaded, writes the programme of the evening, and puts both into one file.
set -eu
pdf=/skills/pdf/scripts
python3 $pdf/forms.py list "$INPUT_DIR/request.pdf" | grep '"name"'
cat > /tmp/values.json <<'JSON'
{"school": "Lind School, Riverside", "pupils": "54", "teacher": "Ada Lind", "date": "11 November 2026", "evening": "both",
 "language": "French", "supper": true, "bus": false,
 "remarks": "Two pupils use wheelchairs; please keep the lift free. One class learns Japanese (日本語) and would like to see the maps of Ōsaka, if that is possible."}
JSON
python3 $pdf/forms.py fill "$INPUT_DIR/request.pdf" /tmp/values.json -o /tmp/filled.pdf
python3 - <<'PY'
import sys
sys.path.insert(0, "/skills/pdf/scripts")
import matplotlib.pyplot as plt
from report import Report

report = Report("/tmp/programme.pdf", title="Programme of the evening", author="Harbour Museum", header="Harbour Museum", accent="#12638F")
report.cover("An evening of maps and ships", "Programme for Lind School, 11 November 2026", ["54 pupils, four guides"])
report.heading("The evening")
report.paragraph("Doors open at <b>17:00</b>. The pupils go round in four groups, each with a guide, and change every half hour.")
report.figures([("Pupils", "54", "in four groups"), ("Guides", "4", "two speak French"), ("Stations", "5", "20 to 40 minutes each")])
report.table([["Time", "Station", "Guide", "Minutes"], ["17:00", "Welcome in the hall of ropes", "Jon Berg", 20],
              ["17:20", "Maps of the world, and of Ōsaka (大阪)", "Léa Martin", 30], ["17:50", "Ships in bottles", "Per Dahl", 30],
              ["18:20", "Draw your own map", "Ida Nes", 40], ["19:00", "Supper and good night", "Jon Berg", 30],
              ["", "Together", "", 150]], total=True, widths=[1, 4, 2, 1])
report.note("Two pupils use wheelchairs: the lift is kept free all evening.")
report.heading("How last year's evenings were liked", 2)
figure, axes = plt.subplots(figsize=(7, 2.6))
bars = axes.barh(["Welcome", "Ships", "Supper", "World maps", "Draw a map"], [3.9, 4.2, 4.4, 4.6, 4.8], color="#12638F")
axes.bar_label(bars, padding=4, fmt="%.1f"); axes.set_xlim(0, 5.4); axes.spines[["top", "right"]].set_visible(False)
axes.set_xlabel("Stars of five, 212 answers")
report.picture(figure, 0.9, "Figure 1: answers of pupils, 2025")
report.build()
PY
python3 $pdf/arrange.py merge /tmp/programme.pdf /tmp/filled.pdf -o /tmp/merged.pdf
python3 $pdf/arrange.py describe /tmp/merged.pdf --title "Evening for Lind School" --author "Harbour Museum" -o "$OUTPUT_DIR/evening.pdf"
python3 $pdf/check.py "$OUTPUT_DIR/evening.pdf"
