"""Fleet benches (several host pairs): execution, and statistics over pairs."""
