"""Planning through a world model, in plain torch: objectives, solvers, MPC over sub-goals."""
