"""Reading and writing of images, labels and reports. Libraries of file formats are imported where they are used."""
