"""`kubectl tidegate`: what people ask about their consumers, and what they decide."""
