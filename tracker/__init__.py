"""Write side: what came in becomes a Hit and is appended to the raw log. Knows nothing of summaries."""
