if (0)
	frobnicate(pte);
