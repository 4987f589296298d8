"""A network applied to native frames at any resolution: disparities and camera motions."""
