# SPDX-License-Identifier: Apache-2.0
"""Runs the application by the standard library's CGIHandler."""

from wsgiref.handlers import CGIHandler

from wsgi_app import application

CGIHandler().run(application)
