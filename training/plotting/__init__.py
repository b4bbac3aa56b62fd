"""Pictures of generated images and samples."""
