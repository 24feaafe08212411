"""Where frames come from: video files, folders of images, zips of images; what a data root holds of them."""
