"""What `fastcnn.data.mnist_style` is made of: paper and ink, lines, pieces, which of them are digits, the frame."""
