"""The embedded default: a small bilingual world, a loopback text-generation server, a small encoder."""
