// Exists so that CMake has something to compile the shared precompiled header <torch/torch.h> for.
