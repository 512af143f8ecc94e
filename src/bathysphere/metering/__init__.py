"""The rules of metering: from what ran to what it costs (docs/metering.md). No clock and no database here."""
