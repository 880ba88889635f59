# 获取完整状态信息
debug_info = source.get_full_state_summary()
print(f"调试信息: {debug_info}")

# 检查保存的运行状态
saved_state = source.get_saved_running_state()
print(f"保存状态: {saved_state}")

# 查看最近的数据
recent_data = source.get_recent_data(5)
print(f"最近数据: {len(recent_data)} 条")
