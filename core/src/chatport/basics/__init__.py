"""Small tools that know nothing of calls: locks and waiting, bounded memory, texts for people, secrets."""
