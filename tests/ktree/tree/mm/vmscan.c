int shrink(int pages)
{
	return pages;
}
