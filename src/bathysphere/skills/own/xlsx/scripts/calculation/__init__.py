"""A small calculator for workbook formulas, for images without LibreOffice. What it does not know, it says."""
