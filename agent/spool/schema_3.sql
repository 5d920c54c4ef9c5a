-- A quarantined job may be tried again only while its bytes are those that were signed (I4).
ALTER TABLE quarantine ADD COLUMN crc INTEGER;  -- body_crc of the row; null: an older release set it aside
