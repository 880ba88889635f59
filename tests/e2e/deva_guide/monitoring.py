# 获取完整状态摘要
summary = source.get_full_state_summary()
print(f"数据源状态: {summary['current_status']}")
print(f"运行统计: {summary['current_stats']}")
print(f"错误计数: {summary['current_stats']['error_count']}")

# 获取保存的运行状态
saved_state = source.get_saved_running_state()
print(f"保存的运行状态: {saved_state['is_running']}")

# 获取保存的最新数据
saved_data = source.get_saved_latest_data()
print(f"最新数据时间: {saved_data['timestamp']}")
