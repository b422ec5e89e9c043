if (exclusive)
	writable = true;
