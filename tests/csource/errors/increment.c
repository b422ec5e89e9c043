nr_pages++;
