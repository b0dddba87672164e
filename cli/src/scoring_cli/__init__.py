"""The command line `scoring`, also `kubectl scoring`: an own distribution above the operator's and the runtime's pure parts."""
