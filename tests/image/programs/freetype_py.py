"""A glyph is loaded from a font of the image."""

import freetype

face = freetype.Face("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
face.set_char_size(48 * 64)
face.load_char("S")
assert face.glyph.bitmap.rows > 20
