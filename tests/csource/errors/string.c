exclusive = "yes";
