bool reuse = exclusive;
bool reuse = false;
