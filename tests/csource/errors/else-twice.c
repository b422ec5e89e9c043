#if defined(CONFIG_KSM)
#else
#else
#endif
