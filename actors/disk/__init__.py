"""What is kept on disks: artifacts, the record, builds, instances' records and output. No actor."""
