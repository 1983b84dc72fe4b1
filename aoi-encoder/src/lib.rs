//! A hand-written vision transformer: dense patch embeddings of inspection images.
