//! Makes grids.
