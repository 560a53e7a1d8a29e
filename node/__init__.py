"""The program: composes the maths and the facts into what people run."""
