"""Devices and business systems that publish: one file a dialect, each writing exactly what the real ones send."""
