from pyrt.pull import pull as pull
