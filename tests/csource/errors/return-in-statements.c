if (!exclusive)
	return 0;
