"""The truth: SQL rows and file blobs. One small module per noun; nothing of SQLAlchemy leaves this room."""
