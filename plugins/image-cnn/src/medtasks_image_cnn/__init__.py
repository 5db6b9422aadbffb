"""Convolutional networks for images as models of medtasks; Keras is imported when one is fitted or loaded."""

from medtasks_image_cnn.model import ImageCNN
from medtasks_image_cnn.seed import SeedCNN

__all__ = ["ImageCNN", "SeedCNN"]
