"""The child process of a station: it resolves playlists, does all HTTP, and becomes ffmpeg.

It uses the standard library only. Of the package it imports nothing outside this folder.
"""
