#!/usr/bin/python3
print("Content-Type: text/plain\n\nHello from Python")
