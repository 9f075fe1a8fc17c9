"""What any node of the suite needs of rclpy, beside its work."""
