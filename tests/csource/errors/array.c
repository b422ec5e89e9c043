bool bits[2];
