#if CONFIG_KSM +
#endif
