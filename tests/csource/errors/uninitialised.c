bool reuse;

if (exclusive)
	reuse = true;
if (reuse)
	rmap_flags |= RMAP_EXCLUSIVE;
