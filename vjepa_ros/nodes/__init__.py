"""Thin rclpy adapters: messages in, one object of the core called, messages out."""
