"""prcim: from the mismatch of a transistor to the accuracy of a binary network on an analog SRAM chip."""

__version__ = "0.1.0"
