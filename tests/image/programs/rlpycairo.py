"""reportlab[pycairo]: drawings are rendered by cairo, and cairo draws by itself."""

import cairo
import rlPyCairo
from reportlab.graphics import renderPM
from reportlab.graphics.shapes import Circle, Drawing, String
from reportlab.lib import colors

drawing = Drawing(60, 60)
drawing.add(Circle(30, 30, 20, fillColor=colors.red))
drawing.add(String(5, 5, "cairo"))
picture = renderPM.drawToPIL(drawing, backend="rlPyCairo")
assert picture.getpixel((30, 30)) == (255, 0, 0)
assert rlPyCairo.GState

surface = cairo.ImageSurface(cairo.FORMAT_ARGB32, 10, 10)
cairo.Context(surface).paint()
surface.write_to_png("black.png")
