"""Planning: what a bench is to do, before it runs: the order of its trials, its cores, its time and space. Pure."""
